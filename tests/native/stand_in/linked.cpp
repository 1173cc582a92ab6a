/* SPDX-License-Identifier: Apache-2.0 */
/* What PyCUDA is linked with and so must be there when it is loaded: a few functions that it calls, and many that no
 * test does. Those say that they are not supported. */
#include "driver.h"

extern "C" {

CUresult cuCtxDestroy_v2(Context *context);

CUresult cuCtxDetach(Context *context) { return cuCtxDestroy_v2(context); }

CUresult cuCtxAttach(Context **context, unsigned) {
    ENTER;
    NEED_CONTEXT;
    *context = current_context();
    return SUCCESS;
}

/* Of the launches before CUDA 4: PyCUDA still says both before a launch that says them again. */
CUresult cuFuncSetBlockShape(Function *, int, int, int) {
    ENTER;
    return SUCCESS;
}
CUresult cuFuncSetSharedSize(Function *, unsigned) {
    ENTER;
    return SUCCESS;
}

#define WITHOUT(name)                                                                                                  \
    __attribute__((weak)) CUresult name(void) { return NOT_SUPPORTED; }

WITHOUT(cuArray3DCreate_v2)
WITHOUT(cuArray3DGetDescriptor_v2)
WITHOUT(cuArrayCreate_v2)
WITHOUT(cuArrayDestroy)
WITHOUT(cuArrayGetDescriptor_v2)
WITHOUT(cuCtxDisablePeerAccess)
WITHOUT(cuCtxEnablePeerAccess)
WITHOUT(cuCtxGetSharedMemConfig)
WITHOUT(cuCtxSetSharedMemConfig)
WITHOUT(cuDeviceCanAccessPeer)
WITHOUT(cuDeviceGetByPCIBusId)
WITHOUT(cuFuncSetAttribute)
WITHOUT(cuIpcCloseMemHandle)
WITHOUT(cuIpcGetEventHandle)
WITHOUT(cuIpcGetMemHandle)
WITHOUT(cuIpcOpenEventHandle)
WITHOUT(cuIpcOpenMemHandle_v2)
WITHOUT(cuLaunch)
WITHOUT(cuLaunchGrid)
WITHOUT(cuLaunchGridAsync)
WITHOUT(cuLinkAddData_v2)
WITHOUT(cuLinkAddFile_v2)
WITHOUT(cuLinkComplete)
WITHOUT(cuLinkCreate_v2)
WITHOUT(cuLinkDestroy)
WITHOUT(cuMemAllocManaged)
WITHOUT(cuMemcpy2DAsync_v2)
WITHOUT(cuMemcpy2DUnaligned_v2)
WITHOUT(cuMemcpy2D_v2)
WITHOUT(cuMemcpy3DAsync_v2)
WITHOUT(cuMemcpy3DPeer)
WITHOUT(cuMemcpy3DPeerAsync)
WITHOUT(cuMemcpy3D_v2)
WITHOUT(cuMemcpyAtoA_v2)
WITHOUT(cuMemcpyAtoD_v2)
WITHOUT(cuMemcpyAtoH_v2)
WITHOUT(cuMemcpyDtoA_v2)
WITHOUT(cuMemcpyHtoA_v2)
WITHOUT(cuMemcpyPeer)
WITHOUT(cuMemcpyPeerAsync)
WITHOUT(cuMemsetD2D16Async)
WITHOUT(cuMemsetD2D16_v2)
WITHOUT(cuMemsetD2D32Async)
WITHOUT(cuMemsetD2D32_v2)
WITHOUT(cuMemsetD2D8Async)
WITHOUT(cuMemsetD2D8_v2)
WITHOUT(cuModuleGetGlobal_v2)
WITHOUT(cuModuleGetSurfRef)
WITHOUT(cuModuleGetTexRef)
WITHOUT(cuModuleLoad)
WITHOUT(cuParamSetSize)
WITHOUT(cuParamSetTexRef)
WITHOUT(cuParamSetf)
WITHOUT(cuParamSeti)
WITHOUT(cuParamSetv)
WITHOUT(cuProfilerInitialize)
WITHOUT(cuStreamAttachMemAsync)
WITHOUT(cuSurfRefGetArray)
WITHOUT(cuSurfRefSetArray)
WITHOUT(cuTexRefCreate)
WITHOUT(cuTexRefDestroy)
WITHOUT(cuTexRefGetAddressMode)
WITHOUT(cuTexRefGetAddress_v2)
WITHOUT(cuTexRefGetArray)
WITHOUT(cuTexRefGetFilterMode)
WITHOUT(cuTexRefGetFlags)
WITHOUT(cuTexRefGetFormat)
WITHOUT(cuTexRefSetAddress2D_v3)
WITHOUT(cuTexRefSetAddressMode)
WITHOUT(cuTexRefSetAddress_v2)
WITHOUT(cuTexRefSetArray)
WITHOUT(cuTexRefSetFilterMode)
WITHOUT(cuTexRefSetFlags)
WITHOUT(cuTexRefSetFormat)
}
